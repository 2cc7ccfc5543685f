"""What in an account has no team file, and the end of a sandbox. Imports no aws_cdk."""
