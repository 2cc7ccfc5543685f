"""What runs inside the server process: MiniStack and moto, and what makes them behave as AWS does.

Importing these modules imports the emulators, which read their settings from the environment and start threads: only
`main` does it, in a process of its own.
"""
