"""For people's own test suites: the pytest plugin and strategies for Hypothesis."""
