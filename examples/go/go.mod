module example.com/shop

go 1.19

require (
	github.com/boj/redistore v1.2.0
	github.com/gorilla/sessions v1.2.1
)
