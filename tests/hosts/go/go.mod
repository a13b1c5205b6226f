module plugprof.example/hosts

go 1.19
