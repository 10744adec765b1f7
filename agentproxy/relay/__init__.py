"""The provider ports: the only room that moves bytes. It asks policy, leaves by upstream, and tells observe."""
