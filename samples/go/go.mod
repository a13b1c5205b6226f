module plugprof.example/samples

go 1.19
