"""The proof: an account's history played again by the plain rules, trusting no figure that the SQL computed."""
