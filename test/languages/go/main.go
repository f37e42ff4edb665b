// Whether JSON Schema in Go says of each record what its case says: go-schema SCHEMA RECORDS
package main

import (
	"encoding/json"
	"log"
	"maps"
	"os"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func main() {
	log.SetFlags(0)
	schema := jsonschema.NewCompiler().MustCompile(os.Args[1])
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var records struct {
		Record map[string]any
		Cases  []struct {
			Name, Field string
			Value       any
			Valid       bool
		}
	}
	if err := json.Unmarshal(text, &records); err != nil {
		log.Fatal(err)
	}
	if len(records.Cases) == 0 || schema.Validate(records.Record) != nil {
		log.Fatal("the schema refuses the good record, or there is no case")
	}
	for _, one := range records.Cases {
		record := maps.Clone(records.Record)
		record[one.Field] = one.Value
		if valid := schema.Validate(record) == nil; valid != one.Valid {
			log.Fatalf("the schema is wrong about: %s", one.Name)
		}
	}
}
