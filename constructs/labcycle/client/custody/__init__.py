"""Verify a team's chains of custody without trusting what keeps them: docs/custody.md."""
