package redis

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/rueidis"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// Members of the deployments' index are str(org) deployment.
func siteMember(d cobrowse.Deployment) string { return str(d.OrgID) + string(d.ID) }

// PutDeployment implements [cobrowse.DeploymentStore].
func (s *Store) PutDeployment(ctx context.Context, d cobrowse.Deployment) error {
	encoded, err := encode(d)
	if err == nil {
		err = until(ctx, func() error {
			old, stored, err := s.deployment(ctx, d.ID)
			switch {
			case err != nil:
				return err
			case stored != "" && old.OrgID != d.OrgID:
				return &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id of the deployment is taken.", EntityID: string(d.ID), EntityName: "deployment"}
			}
			var w writing
			w.same(string(d.ID), stored)
			w.put(string(d.ID), encoded)
			w.add(siteMember(d))
			return s.write(ctx, deploymentShelf, &w)
		})
	}
	if err != nil {
		return fmt.Errorf("store deployment: %w", err)
	}
	return nil
}

// deployment reads a deployment together with what is stored; "" if there is none.
func (s *Store) deployment(ctx context.Context, id cobrowse.DeploymentID) (d cobrowse.Deployment, stored string, err error) {
	stored, err = s.record(ctx, deploymentShelf, string(id))
	if err == nil && stored != "" {
		d, err = decode[cobrowse.Deployment](stored)
	}
	return d, stored, err
}

// Deployment implements [cobrowse.DeploymentStore].
func (s *Store) Deployment(ctx context.Context, id cobrowse.DeploymentID) (cobrowse.Deployment, error) {
	d, stored, err := s.deployment(ctx, id)
	switch {
	case err != nil:
		return d, fmt.Errorf("read deployment: %w", err)
	case stored == "":
		return d, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No deployment has this id.", EntityID: string(id), EntityName: "deployment"}
	}
	return d, nil
}

// Deployments implements [cobrowse.DeploymentStore].
func (s *Store) Deployments(ctx context.Context, org conversations.OrgID) ([]cobrowse.Deployment, error) {
	prefix := str(org)
	names, err := s.between(ctx, deploymentShelf, atLeast(prefix), below(successor(prefix)), -1)
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	for i, m := range names {
		names[i] = m[len(prefix):]
	}
	found, _, err := recordsAs[cobrowse.Deployment](ctx, s, deploymentShelf, names)
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	slices.SortFunc(found, func(a, b cobrowse.Deployment) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return found, nil
}

// DeleteDeployment implements [cobrowse.DeploymentStore].
func (s *Store) DeleteDeployment(ctx context.Context, id cobrowse.DeploymentID) error {
	err := until(ctx, func() error {
		old, stored, err := s.deployment(ctx, id)
		if err != nil || stored == "" {
			return err
		}
		var w writing
		w.same(string(id), stored)
		w.del(string(id))
		w.rem(siteMember(old))
		return s.write(ctx, deploymentShelf, &w)
	})
	if err != nil {
		return fmt.Errorf("delete deployment: %w", err)
	}
	return nil
}

// Secret implements [cobrowse.SecretStore].
func (s *Store) Secret(ctx context.Context, name string, proposed []byte) ([]byte, error) {
	if len(proposed) == 0 {
		return nil, errors.New("store secret: the proposed one is empty")
	}
	key := s.key("secret{" + part(name) + "}")
	results, err := s.doAll(ctx, s.client.B().Set().Key(key).Value(rueidis.BinaryString(bytes.Clone(proposed))).Nx().Build(), s.client.B().Get().Key(key).Build())
	if err != nil {
		return nil, fmt.Errorf("store secret: %w", err)
	}
	secret, err := results[1].AsBytes()
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	return bytes.Clone(secret), nil
}
