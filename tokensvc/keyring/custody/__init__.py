"""Custody: where private keys are stored and sign."""
