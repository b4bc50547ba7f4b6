"""What tests of the command line share."""

from discrete_ca.cli import main


def run(*words):
    """Run a command of any words; its exit code."""
    return main([str(word) for word in words])
