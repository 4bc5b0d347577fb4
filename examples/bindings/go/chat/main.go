// usage: chat MODEL QUESTION
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"

	"ponder"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	model, err := ponder.Load(os.Args[1], nil)
	if err != nil {
		log.Fatal(err)
	}
	session, err := model.NewSession(ponder.SessionParams{})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	if err := session.Prompt(ctx, os.Args[2]); err != nil {
		log.Fatal(err)
	}
	channel := ponder.Channel(-1)
	events := session.Events(ctx)
	for events.Next() {
		event := events.Event()
		if event.Text != "" && event.Channel != channel {
			channel = event.Channel
			fmt.Println("---", channel)
		}
		fmt.Print(event.Text)
	}
	fmt.Println()
	if err := events.Err(); err != nil {
		log.Fatal(err)
	}
}
