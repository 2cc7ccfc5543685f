"""The outbox: events of custody, from the stream of the ledger to the bus of the team."""
