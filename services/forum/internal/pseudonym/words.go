package pseudonym

// Words that say nothing of a person's health, sex or origin.
var adjectives = []string{
	"Amber", "Brave", "Bright", "Calm", "Candid", "Cheerful", "Clever", "Cosy", "Curious", "Daring", "Eager", "Early", "Easy",
	"Fair", "Fast", "Fond", "Free", "Fresh", "Gentle", "Glad", "Golden", "Good", "Grand", "Happy", "Hardy", "Honest", "Humble",
	"Jolly", "Keen", "Kind", "Late", "Light", "Lively", "Loyal", "Lucky", "Mellow", "Merry", "Mild", "Modest", "Neat", "Nimble",
	"Noble", "Patient", "Plain", "Polite", "Proud", "Quick", "Quiet", "Rapid", "Ready", "Rosy", "Rustic", "Sandy", "Serene",
	"Sharp", "Shy", "Silent", "Silver", "Simple", "Smooth", "Snowy", "Sober", "Solid", "Spry", "Steady", "Still", "Strong",
	"Sunny", "Swift", "Tender", "Thrifty", "Tidy", "Tranquil", "True", "Upbeat", "Velvet", "Vivid", "Warm", "Wary", "Wild",
	"Willing", "Wise", "Witty", "Young", "Zesty",
}

var animals = []string{
	"Alpaca", "Antelope", "Badger", "Bat", "Beaver", "Bee", "Bison", "Buzzard", "Camel", "Carp", "Cat", "Chamois", "Cheetah",
	"Cod", "Condor", "Coot", "Coyote", "Crab", "Crane", "Cricket", "Crow", "Cuckoo", "Curlew", "Deer", "Dolphin", "Donkey",
	"Dormouse", "Dove", "Duck", "Eagle", "Eel", "Egret", "Elk", "Falcon", "Ferret", "Finch", "Firefly", "Fox", "Frog", "Gannet",
	"Gazelle", "Gecko", "Gibbon", "Goat", "Goose", "Grouse", "Gull", "Hare", "Hawk", "Hedgehog", "Heron", "Horse", "Ibex",
	"Ibis", "Jackdaw", "Jay", "Kestrel", "Kite", "Kiwi", "Koala", "Lark", "Lemur", "Linnet", "Llama", "Lobster", "Lynx",
	"Magpie", "Mallard", "Marmot", "Marten", "Merlin", "Mole", "Moose", "Moth", "Mouse", "Newt", "Osprey", "Otter", "Owl",
	"Panda", "Partridge", "Pelican", "Penguin", "Pheasant", "Pike", "Plover", "Puffin", "Quail", "Rabbit", "Raven", "Robin",
	"Salmon", "Seal", "Shrew", "Skylark", "Snail", "Sparrow", "Squirrel", "Starling", "Stoat", "Stork", "Swallow", "Swan",
	"Swift", "Tern", "Thrush", "Toad", "Trout", "Turtle", "Vole", "Walrus", "Warbler", "Weasel", "Whale", "Wolf", "Wombat",
	"Woodcock", "Wren", "Yak", "Zebra",
}
