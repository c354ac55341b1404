"""Where private halves live and sign."""
