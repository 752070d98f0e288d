"""What settings may hold, checked before torch is loaded."""
