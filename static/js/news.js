// A page without machines of its own still hears of alerts.

import {hear} from "./alarms.js";
import {Link} from "./link.js";
import {connect} from "./live.js";

const link = new Link(document.getElementById("link"));
connect({view: "alerts", onSnapshot: hear, onChanges: hear, onStatus: (status) => link.show(status)});
