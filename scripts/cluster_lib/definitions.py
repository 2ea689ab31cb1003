"""RabbitMQ's definitions (users, virtual hosts, queues), as a node imports them at its start or by rabbitmqctl.

Pure but for the random salt of a password.
"""

import base64
import hashlib
import os

DELIVERY_LIMIT = 20


def hash_of(password):
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def of_users(users, vhosts):
    """Each of the users ({name: password}) may do everything in each of the virtual hosts."""
    return {
        "users": [{"name": name, "password_hash": hash_of(password), "tags": "administrator",
                   "hashing_algorithm": "rabbit_password_hashing_sha256"} for name, password in users.items()],
        "vhosts": [{"name": vhost} for vhost in vhosts],
        "permissions": [{"user": user, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"}
                        for user in users for vhost in vhosts],
    }


def of_queues(name, vhost="/"):
    """A queue for messages, one for outcomes, one for dead letters; what is rejected goes to the last."""
    def queue(its_name, **arguments):
        return {"name": its_name, "vhost": vhost, "durable": True, "auto_delete": False,
                "arguments": {"x-queue-type": "quorum", **arguments}}
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{name}.dead", "x-overflow": "reject-publish",
            "x-dead-letter-strategy": "at-least-once", "x-delivery-limit": DELIVERY_LIMIT}
    return {"queues": [queue(name, **dead), queue(f"{name}.outcomes"), queue(f"{name}.dead")]}
