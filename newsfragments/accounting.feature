Positions at average cost, profit, the opening test and buying power are exact to the last millionth and the same code everywhere.
