"""Usage that is told now and charged soon: kept first, charged in order by jobs, told of until it is old."""
