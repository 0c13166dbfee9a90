"""The secrets that a stack's parts share."""

from __future__ import annotations

import pulumi

from components.certificates import Authority
from components.keys import SharedSecret


class StackSecrets(pulumi.ComponentResource):
    """Passwords of the database's two roles, keys of zone transfer and webhook, the ring's certificate authority."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("evenkeel:components:StackSecrets", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.admin_password = SharedSecret("database-admin-password", child).password
        self.app_password = SharedSecret("database-app-password", child).password
        self.transfer_key = SharedSecret("zone-transfer-key", child).base64
        self.webhook_key = SharedSecret("webhook-key", child).password
        self.authority = Authority("ring-authority", child)
        self.register_outputs({})
