package seed

import "strings"

var small = strings.Fields(`the a and to of I it is in that for you was my with on have but be not as this are so at they me or if just`)

// frequent are in the order of their frequency.
const frequent = `sleep doctor day time week pain food blood month try year feel help work good sugar start morning eat take
	walk night pressure heart read pump test side dose meal hospital clinic nurse medicine result number weight question answer people
	family child mother father friend home school bed water salt bread fruit rice potato coffee tea milk egg fish meat bean soup
	exercise run swim bike yoga stretch breathe rest habit plan goal diary app watch sensor meter strip needle pen tablet capsule
	cream patch drop spray allergy asthma diabetes migraine stroke fever cough cold flu infection vaccine virus skin rash itch knee
	back neck shoulder hip foot hand finger eye ear nose tooth throat chest stomach liver kidney lung brain bone muscle nerve joint
	stress worry mood anxious calm happy tired awake dizzy sick better worse same change slow quick high low normal strange new old
	first last next early late often never always sometimes maybe really very little much enough hard easy long short warm hot dry
	wet light dark quiet loud strong weak young careful safe sure right wrong travel holiday airport flight car train office boss
	team shift break lunch dinner breakfast snack kitchen recipe oven garden street city country winter summer spring autumn sun rain
	snow wind weekend monday friday appointment referral letter insurance pharmacy prescription leaflet advice guideline study
	research trial evidence paper book video podcast group meeting support partner baby pregnancy birth age teenager adult retire
	scan ray ultrasound surgery recovery therapy physio massage counsel trainer dentist optician specialist surgeon emergency
	ambulance allergic intolerance gluten lactose protein fibre carbohydrate vitamin iron calcium magnesium cholesterol insulin
	cortisone statin steroid antibiotic painkiller placebo reaction symptom diagnosis treatment remission relapse chronic acute mild
	severe average target range alarm battery cable setting update screen phone message photo note list reminder budget cost price`

// A community is about a topic, from an angle.
var (
	topics = strings.Fields(`sleep type-1-diabetes type-2-diabetes asthma migraine back-pain high-blood-pressure heart allergies skin running
		walking nutrition pregnancy parenting ageing anxiety stress stroke arthritis knees eyesight hearing teeth vaccines thyroid
		coeliac epilepsy rehabilitation caring`)
	angles = strings.Fields(`talk newcomers everyday recipes travel work devices research success questions`)
)
