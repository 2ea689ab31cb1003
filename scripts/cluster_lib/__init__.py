"""The parts of scripts/cluster, and of the one RabbitMQ node that tests start (tests/support/rabbit.py)."""
