"""The processes of Spire as twistd plugins; each module is imported only when its plugin is chosen."""

from twisted.application.service import ServiceMaker

service_locator = ServiceMaker(
    "Spire Service Locator", "spire.locator.tap", "Accounts, directory, tickets and addresses.", "spire-service-locator"
)
uid = ServiceMaker("Spire Uid", "spire.uid.tap", "Blocks of identifiers that are never given out twice.", "spire-uid")
definitions = ServiceMaker(
    "Spire Definitions", "spire.definitions.tap", "Reference data and the instrument master.", "spire-definitions"
)
administration = ServiceMaker(
    "Spire Administration",
    "spire.administration.tap",
    "Groups, limits, risk states, entitlements, business days.",
    "spire-administration",
)
market_data = ServiceMaker(
    "Spire Market Data", "spire.marketdata.tap", "Sequences, keeps and publishes market data.", "spire-market-data"
)
market_data_relay = ServiceMaker(
    "Spire Market Data Relay", "spire.relay.tap", "Market data for end users.", "spire-market-data-relay"
)
charting = ServiceMaker("Spire Charting", "spire.charting.tap", "Candlesticks over history and live.", "spire-charting")
compliance = ServiceMaker(
    "Spire Compliance", "spire.compliance.tap", "Rules on orders, and violations of them.", "spire-compliance"
)
order_execution = ServiceMaker(
    "Spire Order Execution", "spire.execution.tap", "Takes, checks, routes and reports orders.", "spire-order-execution"
)
risk = ServiceMaker("Spire Risk", "spire.risk.tap", "Positions, profit, loss limits and risk states.", "spire-risk")
simulation_feed = ServiceMaker(
    "Spire Simulation Feed", "spire.feeds.simulation_tap", "A generated market.", "spire-simulation-feed"
)
replay_feed = ServiceMaker(
    "Spire Replay Feed", "spire.feeds.replay_tap", "Recorded trading days, played again.", "spire-replay-feed"
)
