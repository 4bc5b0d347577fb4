"""usage: chat.py MODEL QUESTION"""

import sys

import ponder

model = ponder.Model(sys.argv[1])
with model.session() as session:
    channel = None
    for event in session.chat(sys.argv[2]):
        if event.text and event.channel != channel:
            channel = event.channel
            print(f"--- {channel.name.lower()}")
        print(event.text, end="", flush=True)
    print()
