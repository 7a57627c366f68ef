The Uid Server gives out blocks of identifiers that two servers, a crash or a restored database never give out twice.
