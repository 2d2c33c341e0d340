module example.corp/control-plane

go 1.19

require (
	google.golang.org/genproto/googleapis/rpc v0.0.0-20230711160842-782d3b101e98
	google.golang.org/grpc v1.57.1
	google.golang.org/protobuf v1.31.0
)
