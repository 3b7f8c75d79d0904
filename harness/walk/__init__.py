"""A recorded run, walked event by event: where everything stands, what each event means, and what caused it."""
