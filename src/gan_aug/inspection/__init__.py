"""What is in a data set: tables, a page with contact sheets."""
