// Makes nodes trust a set of registries: what a control plane does when a user adds one.
//
//	protoc -I ../../../proto --go_out=. --go-grpc_out=. \
//	    --go_opt=Mregtrust/v1/regtrust.proto=example.corp/control-plane/regtrustv1 \
//	    --go-grpc_opt=Mregtrust/v1/regtrust.proto=example.corp/control-plane/regtrustv1 \
//	    --go_opt=module=example.corp/control-plane --go-grpc_opt=module=example.corp/control-plane \
//	    regtrust/v1/regtrust.proto
//
//	control-plane -ca registry-ca.pem -registry harbor.corp:8443 unix:/run/regtrust/admin.sock
//	control-plane -tls ./tls -name regtrust.regtrust-system.svc -ca registry-ca.pem \
//	    -registry harbor.corp:8443 10.0.0.7:7443
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	api "example.corp/control-plane/regtrustv1"
)

// Longer than a restart may take; a node that is busy with jobs says what it waits for.
const patience = 2 * time.Minute

// Connect makes a channel to one node. Who we are is the socket's peer or the certificate, never a field.
func connect(address, directory, name string) (*grpc.ClientConn, error) {
	if strings.HasPrefix(address, "unix:") {
		return grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithAuthority("localhost"))
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key"))
	if err != nil {
		return nil, err
	}
	roots, err := os.ReadFile(filepath.Join(directory, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return nil, errors.New("ca.crt holds no certificate")
	}
	// Nodes are called by their address and show a certificate for the name of all of them.
	configuration := &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: name, MinVersion: tls.VersionTLS13,
	}
	return grpc.Dial(address, grpc.WithTransportCredentials(credentials.NewTLS(configuration)))
}

// Explain says what to tell the user: every refusal has a reason for programs and a cure for people.
func explain(err error) string {
	refusal := status.Convert(err)
	words := []string{refusal.Code().String() + ": " + refusal.Message()}
	for _, detail := range refusal.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			words = append(words, "reason "+detail.Reason+"; "+detail.Metadata["cure"])
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				words = append(words, violation.Field+": "+violation.Description)
			}
		}
	}
	return strings.Join(words, "; ")
}

// Deploy sends the whole set, always: the same set again changes nothing, so a doubt is settled by asking.
func deploy(address, directory, name string, registries []*api.Registry) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connection, err := connect(address, directory, name)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	node := api.NewNodeClient(connection)
	// The answer means that it is on the node's disk.
	answer, err := node.Apply(ctx, &api.ApplyRequest{Registries: registries})
	if err != nil {
		return "", err
	}
	statuses, err := node.WatchStatus(ctx, &api.WatchStatusRequest{})
	if err != nil {
		return "", err
	}
	for {
		now, err := statuses.Recv()
		if err != nil {
			return "", err
		}
		if now.Phase == api.Phase_PHASE_SETTLED || now.Phase == api.Phase_PHASE_DEGRADED {
			return fmt.Sprintf("revision %d, %s", answer.Revision, now.Summary), nil
		}
		for _, due := range now.Due {
			fmt.Fprintf(os.Stderr, "  %s waits: %s\n", due.Command, due.WaitingFor)
		}
	}
}

type names []string

func (n *names) String() string     { return strings.Join(*n, ",") }
func (n *names) Set(v string) error { *n = append(*n, v); return nil }

func main() {
	var hosts names
	directory := flag.String("tls", "", "a directory with ca.crt, tls.crt, tls.key")
	name := flag.String("name", "", "the name in the nodes' certificate")
	authority := flag.String("ca", "", "the CA of the registries; else the system's")
	flag.Var(&hosts, "registry", "HOST[:PORT], as often as there are registries")
	flag.Parse()

	trust, pem := api.Trust_TRUST_SYSTEM, ""
	if *authority != "" {
		bytes, err := os.ReadFile(*authority)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		trust, pem = api.Trust_TRUST_CA, string(bytes)
	}
	var registries []*api.Registry
	for _, host := range hosts {
		registries = append(registries, &api.Registry{Host: host, Trust: trust, Ca: pem})
	}
	failed := false
	for _, address := range flag.Args() {
		words, err := deploy(address, *directory, *name, registries)
		if err != nil {
			words, failed = explain(err), true
		}
		fmt.Println(address+":", words)
	}
	if failed {
		os.Exit(1)
	}
}
