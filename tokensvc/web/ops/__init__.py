"""The page for operators at `/ops`, and the JSON behind it. Both only read."""
