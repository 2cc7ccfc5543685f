"""The embedded local cloud: MiniStack and moto in one process on 127.0.0.1, driven by the real CDK CLI."""
