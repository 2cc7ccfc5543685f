"""What an update would replace or delete, and what is in it. Imports no aws_cdk."""
