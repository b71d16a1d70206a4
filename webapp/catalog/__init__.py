"""What is sold and what a credit buys: packages, plans, features and the rate card."""
