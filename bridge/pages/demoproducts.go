package pages

import (
	"fmt"
)

// product is something that the demo shop does not sell.
type product struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Short    string   `json:"short"`
	Price    string   `json:"price"`
	Cents    int      `json:"cents"`
	Picture  string   `json:"picture"` // address
	Kind     string   `json:"-"`
	Long     string   `json:"-"`
	Material string   `json:"-"`
	Colours  []string `json:"-"`
}

// Asset names are of pictures, by the names of the files.
func products(names map[string]string) []product {
	list := []product{
		{
			ID: "lamp", Kind: "light", Name: "Desk lamp", Short: "Warm light that follows the hand.", Cents: 8900,
			Long:     "One joint, one switch, and a bulb that can be changed without a tool. The base is heavy enough to stay where it is.",
			Material: "Steel, beech and a linen-covered cable.", Colours: []string{"Rust", "Black", "White"},
		},
		{
			ID: "mug", Kind: "table", Name: "Ceramic mug", Short: "Keeps its warmth, and yours.", Cents: 1600,
			Long:     "Thrown by hand, so that no two are alike. Holds a third of a litre and survives the dishwasher.",
			Material: "Stoneware, glazed without lead.", Colours: []string{"Green", "Sand"},
		},
		{
			ID: "blanket", Kind: "living", Name: "Wool blanket", Short: "For the end of the day.", Cents: 11900,
			Long:     "Woven from the wool of one flock and washed once before it leaves. Two metres by one and a half.",
			Material: "Sheep's wool, nothing else.", Colours: []string{"Plum", "Grey"},
		},
		{
			ID: "clock", Kind: "light", Name: "Wall clock", Short: "Silent, and right.", Cents: 7900,
			Long:     "A movement without a tick that sets itself by radio. Runs for two years on one battery.",
			Material: "Aluminium and glass.", Colours: []string{"Blue", "Black"},
		},
		{
			ID: "pot", Kind: "living", Name: "Plant pot", Short: "Terracotta with a saucer.", Cents: 2400,
			Long:     "Lets the roots breathe. The saucer is glazed, so that the window sill stays dry.",
			Material: "Fired clay.", Colours: []string{"Terracotta", "White"},
		},
		{
			ID: "notebook", Kind: "table", Name: "Notebook", Short: "Paper that takes ink.", Cents: 1200,
			Long:     "A hundred and sixty pages that lie flat, with a ribbon to find them again.",
			Material: "Paper from spent wood, cloth binding.", Colours: []string{"Red", "Blue", "Black"},
		},
	}
	for i := range list {
		p := &list[i]
		p.Picture, p.Price = shopAssetPath+names[p.ID+".svg"], fmt.Sprintf("€ %d.%02d", p.Cents/100, p.Cents%100)
	}
	return list
}
