import numpy as np
from sklearn import metrics as M
import warnings; warnings.filterwarnings("ignore")
class S:
    def __init__(s,x): s.x=x
    def d(s):
        s.x=(s.x*1103515245+12345)&0x7fffffff
        return s.x>>16
def classes(k,n,seed):
    s=S(seed); P=np.zeros((n,k)); y=np.zeros(n,int); w=np.zeros(n)
    for i in range(n):
        y[i]=s.d()%k
        r=[1+s.d()%20 for _ in range(k)]
        r[y[i]]+=s.d()%15
        P[i]=np.array(r,float)/sum(r)
        w[i]=1+s.d()%4
    return P,y,w
def ece(p,hit,w):
    b=np.clip(np.ceil(p*15).astype(int)-1,0,14)
    return sum(abs((w*(p-hit))[b==i].sum()) for i in range(15))/w.sum()
def report(P,y,w,said=None):
    k=P.shape[1]; n=len(y)
    said=P.argmax(1) if said is None else said
    ll=M.log_loss(y,P,sample_weight=w,labels=range(k))
    Y=np.eye(k)[y]
    W=np.ones(n) if w is None else w
    if k==2:
        br=M.brier_score_loss(y,P[:,1],sample_weight=w); a=dict(average='binary')
        auc=M.roc_auc_score(y,P[:,1],sample_weight=w); ap=M.average_precision_score(y,P[:,1],sample_weight=w)
        e=ece(P[:,1],y==1,W)
    else:
        br=(W*((P-Y)**2).sum(1)).sum()/W.sum(); a=dict(average='macro')
        auc=np.mean([M.roc_auc_score(y==c,P[:,c],sample_weight=w) for c in range(k)]); ap=np.mean([M.average_precision_score(y==c,P[:,c],sample_weight=w) for c in range(k)])
        e=ece(P.max(1),P.argmax(1)==y,W)
    r=[ll,br,M.accuracy_score(y,said,sample_weight=w),M.precision_score(y,said,sample_weight=w,**a),M.recall_score(y,said,sample_weight=w,**a),M.f1_score(y,said,sample_weight=w,**a),auc,ap,e]
    print("{ "+", ".join("%.12g"%v for v in r)+" }")
    return r
if __name__=="__main__":
    P,y,w=classes(2,300,1); report(P,y,None); report(P,y,w); report(P,y,w,(P[:,1]>=0.3).astype(int))
    r=np.arange(0,300,3); report(P[r],y[r],w[r])
    P,y,w=classes(4,400,2); report(P,y,None); report(P,y,w)
    def numbers(n,seed):
        s=S(seed); p=np.zeros(n);y=np.zeros(n);w=np.zeros(n)
        for i in range(n):
            y[i]=s.d()%125; p[i]=y[i]+s.d()%41-20; w[i]=1+s.d()%4
        return p,y,w
    p,y,w=numbers(200,3)
    for ww in (None,w):
        d=p-y; W=np.ones(200) if ww is None else ww
        nasa=(W*np.where(d<0,np.exp(-d/13)-1,np.exp(d/10)-1)).sum()
        print("{ "+", ".join("%.12g"%v for v in (M.mean_squared_error(y,p,sample_weight=ww)**.5,M.mean_absolute_error(y,p,sample_weight=ww),M.r2_score(y,p,sample_weight=ww),nasa))+" }")
