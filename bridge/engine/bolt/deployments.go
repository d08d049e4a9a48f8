package bolt

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// PutDeployment implements [cobrowse.DeploymentStore].
func (s *Store) PutDeployment(ctx context.Context, d cobrowse.Deployment) error {
	encoded, err := encode(d)
	if err == nil {
		id, org := d.ID, d.OrgID
		err = s.update(ctx, func(t *txn) error {
			old, err := t.deployment(id)
			if err != nil {
				return err
			}
			if old.ID != "" && old.OrgID != org {
				return &cobridge.Error{Code: cobridge.CodeConflict, Message: "The id of the deployment is taken.", EntityID: string(id), EntityName: "deployment"}
			}
			t.put(deploymentBucket, []byte(id), encoded)
			t.put(deploymentByOrg, orgKey(org, id), nil)
			return t.err
		})
	}
	if err != nil {
		return fmt.Errorf("store deployment: %w", err)
	}
	return nil
}

// deployment reads a deployment; the zero value if there is none.
func (t *txn) deployment(id cobrowse.DeploymentID) (cobrowse.Deployment, error) {
	value := t.get(deploymentBucket, []byte(id))
	if value == nil {
		return cobrowse.Deployment{}, nil
	}
	return decode[cobrowse.Deployment](value)
}

// Deployment implements [cobrowse.DeploymentStore].
func (s *Store) Deployment(ctx context.Context, id cobrowse.DeploymentID) (cobrowse.Deployment, error) {
	var d cobrowse.Deployment
	err := s.view(ctx, func(t *txn) (err error) {
		d, err = t.deployment(id)
		return err
	})
	switch {
	case err != nil:
		return d, fmt.Errorf("read deployment: %w", err)
	case d.ID == "":
		return d, &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No deployment has this id.", EntityID: string(id), EntityName: "deployment"}
	}
	return d, nil
}

// Deployments implements [cobrowse.DeploymentStore].
func (s *Store) Deployments(ctx context.Context, org conversations.OrgID) ([]cobrowse.Deployment, error) {
	var found []cobrowse.Deployment
	err := s.view(ctx, func(t *txn) error {
		prefix := orgPrefix(string(org), "")
		c := t.bucket(deploymentByOrg).Cursor()
		for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
			d, err := t.deployment(cobrowse.DeploymentID(key[len(prefix):]))
			if err != nil {
				return err
			}
			found = append(found, d)
		}
		return nil
	})
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
	err := s.update(ctx, func(t *txn) error {
		old, err := t.deployment(id)
		if err != nil || old.ID == "" {
			return err
		}
		t.del(deploymentBucket, []byte(id))
		t.del(deploymentByOrg, orgKey(old.OrgID, id))
		return t.err
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
	secret, err := s.readSecret(ctx, name)
	if secret != nil || err != nil {
		return secret, err
	}
	proposed = bytes.Clone(proposed)
	if err := s.update(ctx, func(t *txn) error {
		if t.get(secretBucket, []byte(name)) == nil {
			t.put(secretBucket, []byte(name), proposed)
		}
		return t.err
	}); err != nil {
		return nil, fmt.Errorf("store secret: %w", err)
	}
	return s.readSecret(ctx, name)
}

func (s *Store) readSecret(ctx context.Context, name string) ([]byte, error) {
	var secret []byte
	err := s.view(ctx, func(t *txn) error {
		secret = bytes.Clone(t.get(secretBucket, []byte(name)))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	return secret, nil
}
