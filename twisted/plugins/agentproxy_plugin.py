"""Names only: importing a plugin must import nothing of ours."""

from twisted.application.service import ServiceMaker

agentproxy = ServiceMaker("agentproxy", "agentproxy.tap", "Relay AI agents' calls to their providers.", "agentproxy")
