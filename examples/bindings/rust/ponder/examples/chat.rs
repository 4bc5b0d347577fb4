//! usage: chat MODEL QUESTION

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let model = ponder::Model::load(&args[1])?;
    let mut session = model.session(&Default::default())?;
    session.prompt(args[2].as_str())?;
    let mut channel = None;
    for event in session.events() {
        let event = event?;
        if !event.text.is_empty() && channel != Some(event.channel) {
            channel = Some(event.channel);
            println!("--- {:?}", event.channel);
        }
        print!("{}", event.text);
        std::io::stdout().flush()?;
    }
    println!();
    Ok(())
}
