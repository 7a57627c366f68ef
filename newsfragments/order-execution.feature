Order Execution takes, decides, journals, routes and books orders, fills them in simulation against the best bid and offer, and survives the loss of its database, its disk and its process.
