"""How much a request costs, beside a server in the style of Temporal's Python sample. See README.md here."""
