module ponder

go 1.19
