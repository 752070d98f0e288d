"""How good generated images are: the judge, the extractors, and every metric beside its floor."""
