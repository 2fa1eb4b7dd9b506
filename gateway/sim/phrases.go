package sim

// The tables below are all that the simulator knows.

var languages = [...]string{"French", "German", "Spanish", "Italian", "Portuguese", "Japanese"}

// phrase is an English phrase and what it is in each of the languages. Longer phrases stand before those they contain.
type phrase struct {
	english string
	in      [len(languages)]string
}

var phrases = [...]phrase{
	{"good morning", [...]string{"Bonjour", "Guten Morgen", "Buenos días", "Buongiorno", "Bom dia", "おはようございます"}},
	{"good evening", [...]string{"Bonsoir", "Guten Abend", "Buenas tardes", "Buonasera", "Boa noite", "こんばんは"}},
	{"good night", [...]string{"Bonne nuit", "Gute Nacht", "Buenas noches", "Buonanotte", "Boa noite", "おやすみなさい"}},
	{"thank you", [...]string{"Merci", "Danke", "Gracias", "Grazie", "Obrigado", "ありがとうございます"}},
	{"how are you", [...]string{"Comment allez-vous ?", "Wie geht es Ihnen?", "¿Cómo está?", "Come sta?", "Como está?", "お元気ですか"}},
	{"i love you", [...]string{"Je t'aime", "Ich liebe dich", "Te quiero", "Ti amo", "Eu te amo", "愛しています"}},
	{"hello", [...]string{"Bonjour", "Hallo", "Hola", "Ciao", "Olá", "こんにちは"}},
	{"goodbye", [...]string{"Au revoir", "Auf Wiedersehen", "Adiós", "Arrivederci", "Adeus", "さようなら"}},
	{"please", [...]string{"S'il vous plaît", "Bitte", "Por favor", "Per favore", "Por favor", "お願いします"}},
	{"water", [...]string{"eau", "Wasser", "agua", "acqua", "água", "水"}},
	{"yes", [...]string{"Oui", "Ja", "Sí", "Sì", "Sim", "はい"}},
	{"no", [...]string{"Non", "Nein", "No", "No", "Não", "いいえ"}},
}

var capitals = [...]struct{ country, city string }{
	{"France", "Paris"},
	{"Germany", "Berlin"},
	{"Spain", "Madrid"},
	{"Italy", "Rome"},
	{"Japan", "Tokyo"},
	{"China", "Beijing"},
	{"India", "New Delhi"},
	{"Brazil", "Brasília"},
	{"Canada", "Ottawa"},
	{"Australia", "Canberra"},
	{"Austria", "Vienna"},
	{"Switzerland", "Bern"},
	{"the United States", "Washington, D.C."},
	{"the Netherlands", "Amsterdam"},
	{"the United Kingdom", "London"},
	{"England", "London"},
	{"Kenya", "Nairobi"},
}

var haikus = [...]string{
	"Water finds the gate,\nwaits until the level fits,\nthen goes on its way.",
	"One token at last;\nbehind it a whole river\nof tokens to come.",
	"No model is here:\na template recites these lines\nand costs not a cent.",
	"The upstream is down.\nQuietly the gate swings round\nto another stream.",
}

var jokes = [...]string{
	"Why did the token cross the gateway? Because its first choice was rate limited.",
	"A request walks into a bar. The barkeeper says: 429, come back in five seconds.",
	"I would tell you a joke about streams, but I am afraid you would leave before the end.",
}

var snippets = [...]struct{ language, code string }{
	{"go", "func fibonacci(n int) int {\n\ta, b := 0, 1\n\tfor range n {\n\t\ta, b = b, a+b\n\t}\n\treturn a\n}\n"},
	{"python", "def fibonacci(n: int) -> int:\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n"},
	{"javascript", "function fibonacci(n) {\n  let [a, b] = [0, 1];\n  for (let i = 0; i < n; i++) [a, b] = [b, a + b];\n  return a;\n}\n"},
	{"typescript", "function fibonacci(n: number): number {\n  let [a, b] = [0, 1];\n  for (let i = 0; i < n; i++) [a, b] = [b, a + b];\n  return a;\n}\n"},
	{"rust", "fn fibonacci(n: u32) -> u64 {\n    let (mut a, mut b) = (0, 1);\n    for _ in 0..n {\n        (a, b) = (b, a + b);\n    }\n    a\n}\n"},
	{"bash", "a=0 b=1\nfor ((i = 0; i < $1; i++)); do\n  ((t = a + b, a = b, b = t))\ndone\necho \"$a\"\n"},
	{"sql", "SELECT tenant, sum(cost_usd) AS spent\nFROM usage\nGROUP BY tenant\nORDER BY spent DESC;\n"},
}

// advice makes the items of a list about anything.
var advice = [...]string{
	"Begin with the question that has to be answered.",
	"Look at how others have gone about it.",
	"Write down what it may cost, in time and money.",
	"Try the smallest form that could work.",
	"Find out what goes wrong first.",
	"Decide how you will measure it.",
	"Ask somebody who disagrees.",
	"Leave out what is not needed.",
	"Tell the people whom it concerns.",
	"Come back to it after a night's sleep.",
}

var greetings = [...]struct {
	said    string
	answers []string
}{
	{"hi", hellos[:]},
	{"hello", hellos[:]},
	{"hey", hellos[:]},
	{"good morning", hellos[:]},
	{"good evening", hellos[:]},
	{"test", []string{"The test reached the simulator, and this is its answer.", "Yes, it works."}},
	{"ping", []string{"pong"}},
	{"thank", []string{"You are welcome.", "My pleasure. It cost nothing."}},
	{"thanks", []string{"You are welcome.", "My pleasure. It cost nothing."}},
	{"bye", []string{"Goodbye, and thank you for trying the simulator."}},
	{"goodbye", []string{"Goodbye, and thank you for trying the simulator."}},
	{"how are you", []string{"Very well: all my upstreams are healthy, for I have none. How are you?"}},
	{"hallo", []string{"Hallo! Ich bin der Simulator von Sluice. Was möchten Sie ausprobieren?"}},
	{"guten tag", []string{"Guten Tag! Ich bin der Simulator von Sluice. Was möchten Sie ausprobieren?"}},
	{"bonjour", []string{"Bonjour ! Je suis le simulateur de Sluice. Que voulez-vous essayer ?"}},
	{"hola", []string{"¡Hola! Soy el simulador de Sluice. ¿Qué quiere probar?"}},
	{"ciao", []string{"Ciao! Sono il simulatore di Sluice. Che cosa vuoi provare?"}},
}

var hellos = [...]string{
	"Hello! I am the simulator that is built into Sluice. Ask me what Sluice is, give me a sum, or offer me a tool to call.",
	"Hi there! This is Sluice's simulator: no key, no network, no cost. What would you like to try?",
	"Hello! Nice to meet you. I only simulate a language model, but streams, tools and JSON schemas work as usual.",
}
