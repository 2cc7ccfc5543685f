"""cdk-nag's rule packs on finished templates: a program of its own, since cdk-nag knows constructs only."""
