"""Steps of a promotion: what must hold, a trial in steps, and then live or taken back."""
