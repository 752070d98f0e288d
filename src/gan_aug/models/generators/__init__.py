"""Generators that are fitted in a way of their own: no adversary, no Lightning, nothing asked."""
