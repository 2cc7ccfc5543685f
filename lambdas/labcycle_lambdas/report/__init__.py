"""The report: what a model did, as an e-mail for people, on a schedule."""
