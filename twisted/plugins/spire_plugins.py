"""The processes of Spire as twistd plugins; each module is imported only when its plugin is chosen."""

from twisted.application.service import ServiceMaker

service_locator = ServiceMaker(
    "Spire Service Locator", "spire.locator.tap", "Accounts, directory, tickets and addresses.", "spire-service-locator"
)
uid = ServiceMaker("Spire Uid", "spire.uid.tap", "Blocks of identifiers that are never given out twice.", "spire-uid")
definitions = ServiceMaker(
    "Spire Definitions", "spire.definitions.tap", "Reference data and the instrument master.", "spire-definitions"
)
market_data = ServiceMaker(
    "Spire Market Data", "spire.marketdata.tap", "Sequences, keeps and publishes market data.", "spire-market-data"
)
charting = ServiceMaker("Spire Charting", "spire.charting.tap", "Candlesticks over history and live.", "spire-charting")
order_execution = ServiceMaker(
    "Spire Order Execution", "spire.execution.tap", "Takes, checks, routes and reports orders.", "spire-order-execution"
)
simulation_feed = ServiceMaker(
    "Spire Simulation Feed", "spire.feeds.simulation_tap", "A generated market.", "spire-simulation-feed"
)
replay_feed = ServiceMaker(
    "Spire Replay Feed", "spire.feeds.replay_tap", "Recorded trading days, played again.", "spire-replay-feed"
)
