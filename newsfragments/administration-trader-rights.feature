Who is a trader of a group no more loses VIEW and TRADE on its trading accounts with the role, and gets them on the one of his name when he is its trader again.
