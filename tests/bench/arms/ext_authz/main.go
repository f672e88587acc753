// Envoy's ext_authz (gRPC) answered by OPA as a library: the stand-in for opa-envoy-plugin where that cannot be had.
//
// Like the plugin it gives Rego the request (method, path, headers, parsed body) as input and may log every decision.
// It does less than the plugin (no metrics, no dynamic metadata, no status of its own). Never part of the product.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"net"
	"os"
	"strings"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/open-policy-agent/opa/v1/sdk"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/sirupsen/logrus"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

type server struct {
	auth.UnimplementedAuthorizationServer
	opa  *sdk.OPA
	path string
}

// Check asks the policy; anything but true is a no.
func (s *server) Check(ctx context.Context, request *auth.CheckRequest) (*auth.CheckResponse, error) {
	http := request.GetAttributes().GetRequest().GetHttp()
	path, _, _ := strings.Cut(http.GetPath(), "?")
	input := map[string]any{
		"attributes": map[string]any{"request": map[string]any{"http": map[string]any{
			"id": http.GetId(), "method": http.GetMethod(), "headers": http.GetHeaders(), "path": http.GetPath(), "host": http.GetHost(),
			"scheme": http.GetScheme(), "protocol": http.GetProtocol(), "size": http.GetSize(), "body": http.GetBody(),
		}}},
		"parsed_path": strings.Split(strings.Trim(path, "/"), "/"),
	}
	if text := http.GetBody(); text != "" {
		var body any
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			return answer(codes.PermissionDenied), nil
		}
		input["parsed_body"] = body
	}
	result, err := s.opa.Decision(ctx, sdk.DecisionOptions{Path: s.path, Input: input})
	if err != nil {
		return answer(codes.PermissionDenied), nil
	}
	if allowed, ok := result.Result.(bool); ok && allowed {
		return answer(codes.OK), nil
	}
	return answer(codes.PermissionDenied), nil
}

func answer(code codes.Code) *auth.CheckResponse {
	return &auth.CheckResponse{Status: &status.Status{Code: int32(code)}}
}

func main() {
	address := flag.String("addr", "127.0.0.1:9191", "where to listen: host:port, or the path of a unix socket")
	path := flag.String("path", "/bench/allow", "the decision")
	config := flag.String("config-file", "", "OPA's configuration")
	flag.Parse()
	file, err := os.Open(*config)
	if err != nil {
		log.Fatal(err)
	}
	logger := logging.New()
	logger.SetLevel(logging.Error)
	decisions := logging.New()
	decisions.SetFormatter(&logrus.JSONFormatter{}) // as OPA's own programs write them
	// as `opa run --optimize-store-for-read-speed`
	store := inmem.NewWithOpts(inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	opa, err := sdk.New(context.Background(), sdk.Options{Config: file, Logger: logger, ConsoleLogger: decisions, Store: store})
	if err != nil {
		log.Fatal(err)
	}
	network := "tcp"
	if strings.Contains(*address, "/") {
		network = "unix"
	}
	listener, err := net.Listen(network, *address)
	if err != nil {
		log.Fatal(err)
	}
	service := grpc.NewServer()
	auth.RegisterAuthorizationServer(service, &server{opa: opa, path: *path})
	log.Fatal(service.Serve(listener))
}
