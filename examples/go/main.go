package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/config"
)

// Asks D1 for the issuer on each line of standard input, all at once.
func main() {
	ctx := context.Background()
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	d1 := NewClient(aws, Settings{
		Origin:            cmp.Or(os.Getenv("D1_API_ORIGIN"), "https://api.d1.thalescloud.io"),
		TokenSecret:       os.Getenv("D1_TOKEN_SECRET_ID"),
		CertificateSecret: os.Getenv("D1_CLIENT_CERTIFICATE_SECRET_ID"),
		BrokerFunction:    os.Getenv("D1_BROKER_FUNCTION_NAME"),
	})
	var callers sync.WaitGroup
	defer callers.Wait()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		issuerID := lines.Text()
		callers.Add(1)
		go func() {
			defer callers.Done()
			fmt.Printf("%s: %s\n", issuerID, status(ctx, d1, issuerID))
		}()
	}
}

func status(ctx context.Context, d1 *Client, issuerID string) string {
	response, err := d1.Get(ctx, "/banking/v1/issuers/"+url.PathEscape(issuerID))
	if err != nil {
		return fmt.Sprintf("failed: %v", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Sprintf("D1 answered %d", response.StatusCode)
	}
	var issuer struct{ Status string }
	if err := json.NewDecoder(response.Body).Decode(&issuer); err != nil {
		return fmt.Sprintf("failed: %v", err)
	}
	return issuer.Status
}
