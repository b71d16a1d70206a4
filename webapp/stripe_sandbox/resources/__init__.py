"""One file per resource of Stripe's API: how its objects are made and which calls it answers."""
